"""`coopfs demo`: a network of real daemons on this machine, one disaster, one comparison."""
