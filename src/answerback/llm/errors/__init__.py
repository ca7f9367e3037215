"""What upstreams' errors mean, in every vendor's dialect, and their texts without secrets."""
