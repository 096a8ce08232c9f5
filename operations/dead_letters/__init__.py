"""Dead letters: records that could not become rows. Lists, shows and redrives them."""
