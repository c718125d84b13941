"""What a run leaves on disk: its records, its folder, and finding runs again."""
