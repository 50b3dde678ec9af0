"""What both apps share: a picture and a question go in, an answer comes out; no framework is known here."""
