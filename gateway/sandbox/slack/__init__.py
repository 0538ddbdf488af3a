"""An emulated Slack workspace on loopback: Web API and Socket Mode, faithful enough for Slack's own client library."""
