"""The service: mammography studies are received, analyzed, reported and delivered."""
