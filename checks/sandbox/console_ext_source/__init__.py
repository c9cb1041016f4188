"""Files of the Console.ext repository that are programs; the stand-in commits them, and uses the first of them itself."""
