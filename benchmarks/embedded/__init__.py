"""A small world of drawn scenes and solids, and the CLIP that is trained on it: the pipeline offline, in a minute."""
