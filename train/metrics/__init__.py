"""What the figures in a card mean."""
