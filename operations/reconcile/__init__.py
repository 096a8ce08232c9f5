"""What is stored compared with what the journal comes to, and put right."""
