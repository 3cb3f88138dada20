"""What contrib/campaign is made of."""
