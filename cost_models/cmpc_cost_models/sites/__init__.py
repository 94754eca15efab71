"""Where does a compiled network run? Here, on a device by RPC, or in an emulator."""
