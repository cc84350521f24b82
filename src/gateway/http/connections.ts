import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Keeps room for those who ask. Beyond the limit, the connection that has been there longest without a request is let go,
 * so that connections on which nothing is ever asked block nobody. Where all are at work, the new one is let go.
 */
export function boundConnections(server: Server, limit: number): void {
  const all = new Set<Socket>();
  const idle = new Set<Socket>();
  server.on('connection', (socket) => {
    if (all.size >= limit) {
      const oldest = idle.values().next().value;
      if (oldest === undefined) {
        socket.destroy();
        return;
      }
      forget(oldest);
      oldest.destroy();
    }
    all.add(socket);
    idle.add(socket);
    socket.once('close', () => forget(socket));
  });
  server.on('request', ({ socket }, outgoing) => {
    idle.delete(socket);
    outgoing.once('close', () => {
      if (all.has(socket)) idle.add(socket);
    });
  });
  const forget = (socket: Socket): void => {
    all.delete(socket);
    idle.delete(socket);
  };
}
