import net from 'node:net';
import tls from 'node:tls';

/** Opens a TCP connection to one of the addresses. */
export type Connect = (addresses: readonly string[], port: number) => net.Socket;

/** The resolver's part is played by what was checked, so that Node looks up nothing by itself. */
export const connectPinned: Connect = (addresses, port) => {
  const list = addresses.map((address) => ({ address, family: net.isIP(address) }));
  const lookup: net.LookupFunction = (_host, options, callback) => {
    if (options.all) callback(null, list);
    else callback(null, (list[0] as { address: string }).address, net.isIP(addresses[0] as string));
  };
  return net.connect({ host: 'pinned.invalid', port, lookup, autoSelectFamily: true, noDelay: true });
};

/** TLS over a connection. `ca`: certificates (PEM) trusted besides the system's. */
export const secured = (
  socket: net.Socket,
  host: string,
  alpn: readonly string[] | undefined,
  ca: readonly string[],
): tls.TLSSocket =>
  tls.connect({
    socket,
    host,
    // An address is no name to ask for; the certificate is still checked against it.
    servername: net.isIP(host) ? '' : host,
    ...(alpn && { ALPNProtocols: [...alpn] }),
    // Said outright, since an environment variable could turn it off.
    rejectUnauthorized: true,
    ...(ca.length > 0 && { ca: [...tls.getCACertificates('default'), ...ca] }),
  });
