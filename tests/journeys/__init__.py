"""What people of several kinds do with tfbert, from their own file to what they wanted."""
