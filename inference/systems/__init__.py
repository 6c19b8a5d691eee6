"""One system a paper: preparation, network and decision under one name."""
