"""llama.cpp on the CPU, in a server process of ours."""
