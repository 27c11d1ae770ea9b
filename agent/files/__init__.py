"""Files that are written atomically, stored configurations, and the paths and URLs that users give."""
