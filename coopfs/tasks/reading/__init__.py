"""Content and master state on their way back: blocks of any k columns become stripes, and bytes of files."""
