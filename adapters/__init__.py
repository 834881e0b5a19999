"""What is outside: channels, stores. Adapters translate; they decide nothing."""
