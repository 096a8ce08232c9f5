"""What a caller may ask for: parameters read, checked, and turned into conditions of ClickHouse."""
