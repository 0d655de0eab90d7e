"""The rules for the HTTP routes of a VirtualService: what they match, do and leave out of reach."""
