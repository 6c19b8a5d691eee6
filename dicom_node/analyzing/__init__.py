"""RECEIVED -> ANALYZED: the study is judged acceptable and read by a network."""
