"""Reply stage: one reply for each settled request."""
