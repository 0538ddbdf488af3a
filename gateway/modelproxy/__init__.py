"""The model proxy: who may call which model route, with which credential, and what it cost."""
