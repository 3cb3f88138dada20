"""The insides of contrib/suites and contrib/month: other people's programs on a coopfs mount."""
