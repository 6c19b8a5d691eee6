"""RECEIVED -> ANALYZED: the study is judged acceptable, read by a network, and the findings are kept."""
