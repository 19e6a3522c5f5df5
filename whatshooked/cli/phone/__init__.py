"""`simulate phone`: a chat in the terminal in which you are the customer."""
