import os

os.environ["KERAS_BACKEND"] = "torch"  # Keras reads it once, when it is imported
