"""What programs may ask over HTTP on 18789: chat completions, responses, single tools. All off by default."""
