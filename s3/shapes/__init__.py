"""The XML documents of S3: request bodies read into values, answers printed from them."""
