"""llama.cpp on the CPU, in a server process that we start."""
