"""The layers around a session, from namespaces to the filter of system calls."""
