"""RECEIVING -> RECEIVED: images come in and are kept; a study is settled when it is complete."""
