"""DexWM's network: encoder, keypoint head, predictor, decoder, and their weights on disk."""
