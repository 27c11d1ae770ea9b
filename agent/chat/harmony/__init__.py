"""The dialect of gpt-oss: turns are messages in channels, and Python is called by a message that is sent to it."""
