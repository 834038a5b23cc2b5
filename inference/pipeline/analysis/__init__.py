"""What is in a picture: faces, their landmarks, who they are and what they look like."""
