"""The server: uvicorn's protocol with bounds on what a client sends, on its time and on what it may hold."""
