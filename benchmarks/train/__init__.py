"""Fine-tuning of CLIP's vision tower: CLIPood, and the alignment losses and label smoothing of AlignCLIP."""
