"""Search over what a feed has delivered: words and vectors, fused."""
