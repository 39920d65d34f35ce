"""Words everybody shares: plain Python, no framework, no floor below."""
