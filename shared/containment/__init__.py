"""Running a command that an agent chose: its files, sockets, processes, time and output are bounded."""
