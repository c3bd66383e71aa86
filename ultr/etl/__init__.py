"""Raw sessions to the tables that training reads."""
