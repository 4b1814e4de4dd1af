"""The paper's ablations: small trainings that differ in one thing, measured alike."""
