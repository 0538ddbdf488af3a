"""The agent: what a model is told, which model is asked, and the loop of answers and tool calls."""
