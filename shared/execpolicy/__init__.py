"""Which commands an agent may run: decided on the literal text, executed by argument list, never through a shell."""
