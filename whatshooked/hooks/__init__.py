"""What a hook is, and one attempt at it: matching, signing, the retry schedule, the POST."""
