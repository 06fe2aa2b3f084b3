"""What the library is measured against."""
