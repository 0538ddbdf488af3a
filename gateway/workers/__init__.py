"""Workers: the containers that run the agents, and the only place that speaks to the Docker engine."""
