"""Tools for developers and researchers around the agent."""
