"""The program that keeps rollups by hour and day true."""
