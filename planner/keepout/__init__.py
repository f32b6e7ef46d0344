"""Where no instrument may go: the sacral canal and the foramina."""
