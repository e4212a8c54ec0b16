"""What the words are: concepts, hierarchy, labels, agency maps and scoring. Needs numpy and nothing else."""
