"""From sound to what a voice expresses: resampling, voice activity, features, quality, scores."""
